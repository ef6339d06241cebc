package main

import (
	"context"
	"fmt"
	"net"
	"os"

	"golang.org/x/sync/errgroup"
)

// backends starts the database and the queue, and waits for the database.
func (s *stack) backends(ctx context.Context) error {
	data := s.path("mysql")
	if _, err := os.Stat(data + "/mysql"); err != nil {
		if err := s.once(ctx, "mariadb-install", nil, "mariadb-install-db", "--no-defaults", "--datadir="+data, "--user=root",
			"--auth-root-authentication-method=normal", "--skip-test-db"); err != nil {
			return err
		}
	}
	// Nothing here outlives the machine, so the database need not wait for the disk.
	if err := s.daemon("mariadb", nil, "mariadbd", "--no-defaults", "--user=root", "--datadir="+data, "--socket="+s.socket(),
		"--skip-networking", "--skip-log-bin", "--max-connections=500", "--innodb-flush-log-at-trx-commit=0",
		"--innodb-buffer-pool-size=192M", "--character-set-server=utf8mb3", "--default-time-zone=+00:00", "--pid-file="+s.path("run", "mysql.pid")); err != nil {
		return err
	}
	erlang := []string{"ERL_EPMD_ADDRESS=127.0.0.1", fmt.Sprint("ERL_EPMD_PORT=", s.Epmd)}
	if err := s.daemon("epmd", nil, "epmd", "-address", "127.0.0.1", "-port", fmt.Sprint(s.Epmd)); err != nil {
		return err
	}
	if err := s.daemon("rabbitmq", append(erlang,
		"RABBITMQ_NODENAME=openstack@localhost", "RABBITMQ_CONF_ENV_FILE=/dev/null", "RABBITMQ_CONFIG_FILE="+s.path("etc", "rabbitmq"),
		"RABBITMQ_ENABLED_PLUGINS_FILE="+s.path("etc", "rabbitmq_plugins"), "RABBITMQ_MNESIA_BASE="+s.path("rabbit"), "RABBITMQ_LOGS=-",
		fmt.Sprint("RABBITMQ_DIST_PORT=", s.RabbitDist),
		"RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS=-kernel inet_dist_use_interface {127,0,0,1}",
	), "/usr/lib/rabbitmq/bin/rabbitmq-server"); err != nil {
		return err
	}
	return s.until(ctx, "mariadb", func(ctx context.Context) error { return s.sql(ctx, "select 1") })
}

func (s *stack) sql(ctx context.Context, statement string) error {
	return s.once(ctx, "sql", nil, "mariadb", "-S", s.socket(), "-u", "root", "-e", statement)
}

// listening tells whether somebody listens on a port.
func listening(port int) func(context.Context) error {
	return func(ctx context.Context) error {
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			return err
		}
		return conn.Close()
	}
}

// schemas makes the databases, once.
func (s *stack) schemas(ctx context.Context) error {
	done := s.path("schemas")
	if _, err := os.Stat(done); err == nil {
		return nil
	}
	for _, name := range []string{"keystone", "glance", "placement", "nova_api", "nova", "nova_cell0", "neutron", "cinder"} {
		if err := s.sql(ctx, "drop database if exists "+name+"; create database "+name+" character set utf8mb3"); err != nil {
			return err
		}
	}
	for _, keys := range []string{"fernet", "credential"} {
		if err := os.MkdirAll(s.path("keystone", keys), 0o700); err != nil {
			return fmt.Errorf("cannot make the folder of keys: %w", err)
		}
	}
	type command []string
	keystone := func(args ...string) command {
		return append(command{"keystone-manage", "--config-file", s.path("etc", "keystone.conf")}, args...)
	}
	nova := func(args ...string) command {
		return append(command{"nova-manage", "--config-file", s.path("etc", "nova.conf")}, args...)
	}
	identity := s.URL(s.Keystone) + "/v3"
	group, ctx := errgroup.WithContext(ctx)
	for log, commands := range map[string][]command{
		"schema-keystone": {
			keystone("db_sync"),
			keystone("fernet_setup", "--keystone-user", "root", "--keystone-group", "root"),
			keystone("credential_setup", "--keystone-user", "root", "--keystone-group", "root"),
			keystone("bootstrap", "--bootstrap-password", s.Password, "--bootstrap-region-id", region,
				"--bootstrap-public-url", identity, "--bootstrap-internal-url", identity, "--bootstrap-admin-url", identity),
			{"placement-manage", "--config-file", s.path("etc", "placement.conf"), "db", "sync"},
		},
		"schema-cinder": {
			{"glance-manage", "--config-file", s.path("etc", "glance.conf"), "db_sync"},
			{"cinder-manage", "--config-file", s.path("etc", "cinder.conf"), "db", "sync"},
		},
		"schema-nova": {
			nova("api_db", "sync"),
			nova("cell_v2", "map_cell0", "--database_connection", s.Database("nova_cell0")),
			nova("cell_v2", "create_cell", "--name", "cell1"),
			nova("db", "sync"),
		},
		"schema-neutron": {{"neutron-db-manage", "--config-file", s.path("etc", "neutron.conf"), "upgrade", "heads"}},
	} {
		group.Go(func() error {
			for _, c := range commands {
				if err := s.once(ctx, log, nil, c[0], c[1:]...); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	return os.WriteFile(done, nil, 0o600)
}
