package stemcell

import (
	"archive/tar"
	"bufio"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"github.com/microbosh/microbosh/pkg/messages"
)

// Bounds on what an archive may unfold to. A stemcell's image is packed itself,
// so the archive around it gains next to nothing; only a bomb gains much.
const (
	maxMembers = 10_000
	maxGain    = 100      // times the archive's size
	slack      = 8 << 20  // and this much, for small archives
	maxTail    = 10 << 20 // padding after the last member
)

// walk goes through the archive's members, refuses what has no place in one, and
// gives the archive's size.
func walk(ctx context.Context, path string, visit func(name string, h *tar.Header, r io.Reader) error) (int64, error) {
	f, size, err := openArchive(ctx, path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	gz, err := gzip.NewReader(bufio.NewReaderSize(f, 256<<10))
	if err != nil {
		var e *messages.Error
		if errors.As(err, &e) {
			return 0, err // of the download
		}
		return 0, unreadable(path, errors.New("it is no gzip"))
	}
	budget := &bounded{r: gz, left: size*maxGain + slack}
	tr := tar.NewReader(budget)
	seen := map[string]bool{}
	for members := 0; ; members++ {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return 0, unreadable(path, err)
		}
		if members >= maxMembers {
			return 0, invalid(path, "it has more than %d members", maxMembers)
		}
		name, err := memberName(path, h)
		if err != nil {
			return 0, err
		}
		if h.Typeflag == tar.TypeDir {
			continue
		}
		if seen[name] {
			return 0, invalid(path, "the member %.100q is there twice", name)
		}
		seen[name] = true
		if h.Size > budget.left {
			return 0, unreadable(path, errBomb) // also a sparse file, which takes no room in the archive
		}
		if err := visit(name, h, tr); err != nil {
			return 0, unreadable(path, err)
		}
	}
	// What is cut off at the very end only the last checksum tells.
	budget.left = maxTail
	if _, err := io.Copy(io.Discard, budget); err != nil {
		return 0, unreadable(path, err)
	}
	return size, nil
}

// memberName is a member's name without a leading ./, which tar makes when it is
// given a folder.
func memberName(path string, h *tar.Header) (string, error) {
	name := strings.TrimPrefix(h.Name, "./")
	if h.Typeflag == tar.TypeDir {
		if name = strings.TrimSuffix(name, "/"); name == "" {
			name = "."
		}
	} else if h.Typeflag != tar.TypeReg {
		return "", invalid(path, "the member %.100q is no plain file", h.Name)
	}
	if !fs.ValidPath(name) {
		return "", invalid(path, "the member %.100q would lie outside of the archive", h.Name)
	}
	return name, nil
}

// openArchive opens a plain file, or one on the web, and gives its size. A pipe
// would be waited for, so it is refused before.
func openArchive(ctx context.Context, path string) (io.ReadCloser, int64, error) {
	if IsURL(path) {
		w, err := openWeb(ctx, path)
		if err != nil {
			return nil, 0, err
		}
		if w.size < 0 {
			return w, maxDownload / maxGain, nil
		}
		return w, w.size, nil
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, 0, missing(path, err)
	}
	if !info.Mode().IsRegular() {
		return nil, 0, unreadable(path, errors.New("it is no file"))
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, 0, missing(path, err)
	}
	return f, info.Size(), nil
}

func unreadable(path string, err error) error {
	var e *messages.Error
	if errors.As(err, &e) {
		return err
	}
	if errors.Is(err, io.ErrUnexpectedEOF) {
		err = fmt.Errorf("it ends too early: %w", err)
	}
	return invalid(path, "Cannot read tarball %s: %w", path, err)
}

var errBomb = errors.New("it unfolds to far more than a stemcell of its size does")

// bounded is a reader that fails when more than left comes out of it.
type bounded struct {
	r    io.Reader
	left int64
}

func (b *bounded) Read(p []byte) (int, error) {
	n, err := b.r.Read(p)
	if b.left -= int64(n); b.left < 0 {
		return 0, errBomb
	}
	return n, err
}
