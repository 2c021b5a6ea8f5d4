// Package server hands out jobs.
package server

import (
	"errors"
	"net/http"
)

// ErrNotFound is returned if the job does not exsist.
var ErrNotFound = errors.New("job not found")

type ot struct{ nd, ba int }

func (s *Server) handle(w http.ResponseWriter, r *http.Request) {
	if ref := r.Header.Get("Referer"); ref != "" {
		s.log.Info("request", "referer", ref)
	}
	job, err := s.queue.Next(r.Context())
	if errors.Is(err, ErrNotFound) {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	http.Error(w, "an unkown error", http.StatusInternalServerError)
	_ = job
}
