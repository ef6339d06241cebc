package embed

import "github.com/rs/zerolog"

// logger gives the server's messages to zerolog. Its texts are not constant:
// they are the server's own.
type logger struct{ log zerolog.Logger }

func (l logger) Noticef(format string, v ...any) { l.log.Debug().Msgf(format, v...) }
func (l logger) Warnf(format string, v ...any)   { l.log.Warn().Msgf(format, v...) }
func (l logger) Fatalf(format string, v ...any)  { l.log.Error().Msgf(format, v...) }
func (l logger) Errorf(format string, v ...any)  { l.log.Error().Msgf(format, v...) }
func (l logger) Debugf(string, ...any)           {}
func (l logger) Tracef(string, ...any)           {}
