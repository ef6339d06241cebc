package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// cpiName is what the program is called where BOSH looks for a CPI.
const cpiName = "cpi"

// asCPI tells whether the program was called as a CPI, and with which
// configuration. As `cpi` it finds that beside itself, as a BOSH job has it:
// <job>/bin/cpi and <job>/config/cpi.json.
func asCPI(args []string, out io.Writer) (config string, called bool, err error) {
	installed := filepath.Base(args[0]) == cpiName
	rest := args[1:]
	switch {
	case len(rest) > 0 && rest[0] == "exec":
		rest = rest[1:]
	case !installed:
		return "", false, nil
	}
	flags := flag.NewFlagSet(program+" exec", flag.ContinueOnError)
	flags.SetOutput(out)
	flags.StringVar(&config, "config", "", "`file` with the CPI's properties, as a BOSH job renders it")
	if err := flags.Parse(rest); err != nil {
		return "", true, err
	}
	if flags.NArg() > 0 {
		return "", true, fmt.Errorf("%q is no flag; --help shows which there are", flags.Arg(0))
	}
	if config == "" && installed {
		beside := filepath.Join(filepath.Dir(args[0]), "..", "config", "cpi.json")
		if _, err := os.Stat(beside); err == nil {
			return beside, true, nil
		} else if !errors.Is(err, os.ErrNotExist) {
			return "", true, err
		}
	}
	return config, true, nil
}
