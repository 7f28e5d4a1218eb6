// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/kubeovn/sriov-network-operator/test/vm/protocol"
)

// Serve serves the host until the port breaks. Commands that it runs are killed
// when the context is done.
func Serve(ctx context.Context) error {
	p, err := openPort()
	if err != nil {
		return err
	}
	disk, err := openExchange()
	if err != nil {
		return err
	}
	s := &server{out: p, exchange: disk}
	if err := s.welcome(protocol.Welcome{}); err != nil {
		return err
	}
	return s.serve(ctx, protocol.NewReader(p))
}

// server is the agent's side of the port.
type server struct {
	exchange *exchange

	write sync.Mutex
	out   io.Writer

	session *session // nil before the first Hello; used by the reading goroutine alone
}

func (s *server) serve(ctx context.Context, in *protocol.Reader) error {
	for {
		f, err := in.Next()
		if err != nil {
			return fmt.Errorf("read frame: %w", err)
		}
		if f.Kind == protocol.KindHello {
			if err := s.begin(f); err != nil {
				return err
			}
			continue
		}
		// What comes before the first Hello was meant for an agent of an
		// earlier boot.
		if s.session != nil {
			s.session.frame(ctx, f)
		}
	}
}

// begin ends the session there is and begins the one that the host asks for.
func (s *server) begin(f protocol.Frame) error {
	hello := greeting(f)
	if hello.Session == 0 {
		return nil // a damaged greeting: the host did not mean this one
	}
	if s.session != nil {
		s.session.end()
	}
	s.session = newSession(s)
	welcome := protocol.Welcome{Session: hello.Session}
	if err := prepare(hello); err != nil {
		welcome.Error = err.Error()
	}
	return s.welcome(welcome)
}

// greeting reads a Hello. One that is damaged is for no session.
func greeting(f protocol.Frame) protocol.Hello {
	var hello protocol.Hello
	if json.Unmarshal(f.Body, &hello) != nil {
		return protocol.Hello{}
	}
	return hello
}

func (s *server) welcome(w protocol.Welcome) error {
	id, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return fmt.Errorf("read boot id: %w", err)
	}
	w.BootID = strings.TrimSpace(string(id))
	return s.send(protocol.EncodeJSON(protocol.KindWelcome, 0, w))
}

// send writes an encoded frame; it takes the results of an encoding.
func (s *server) send(b []byte, err error) error {
	if err != nil {
		return err
	}
	s.write.Lock()
	defer s.write.Unlock()
	if _, err := s.out.Write(b); err != nil {
		return fmt.Errorf("write frame: %w", err)
	}
	return nil
}

// prepare sets the guest's clock, which stands still in a snapshot, and its name.
func prepare(hello protocol.Hello) error {
	now := unix.NsecToTimespec(hello.UnixNano)
	if err := unix.ClockSettime(unix.CLOCK_REALTIME, &now); err != nil {
		return fmt.Errorf("set clock to %v: %w", time.Unix(0, hello.UnixNano).UTC(), err)
	}
	if hello.Hostname == "" {
		return nil
	}
	if err := unix.Sethostname([]byte(hello.Hostname)); err != nil {
		return fmt.Errorf("set host name to %q: %w", hello.Hostname, err)
	}
	if err := os.WriteFile("/etc/hostname", []byte(hello.Hostname+"\n"), 0o644); err != nil {
		return fmt.Errorf("keep host name: %w", err)
	}
	return nil
}
