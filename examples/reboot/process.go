package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
)

// heard is what a process has said, or that it has ended.
type heard struct {
	from *process
	word
	ended error // set when it has ended, whatever the reason
}

// process is one running process of the story.
type process struct {
	host   int // which, -1 for the login server
	cmd    *exec.Cmd
	in     io.WriteCloser
	silent bool          // the story has heard that it ended
	done   chan struct{} // closed when it has ended and been waited for
}

var errEnded = errors.New("it has ended")

// launch starts this program again with other arguments. What it says comes on words, and
// that it has ended comes last.
func launch(host int, words chan<- heard, args ...string) (*process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	p := &process{host: host, cmd: exec.Command(self, args...), done: make(chan struct{})}
	p.cmd.Stderr = os.Stderr
	out, err := p.cmd.StdoutPipe()
	if err == nil {
		p.in, err = p.cmd.StdinPipe()
	}
	if err == nil {
		err = p.cmd.Start()
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", p, err)
	}
	go func() { // ends with the process, whose output then ends; words is always read
		for s := json.NewDecoder(bufio.NewReader(out)); ; {
			var w word
			if s.Decode(&w) != nil { // its end, or the line that SIGKILL cut
				break
			}
			words <- heard{from: p, word: w}
		}
		_, _ = io.Copy(io.Discard, out)
		err := p.cmd.Wait()
		close(p.done)
		words <- heard{from: p, ended: errors.Join(errEnded, err)}
	}()
	return p, nil
}

func (p *process) String() string {
	if p.host < 0 {
		return "the login server"
	}
	return fmt.Sprintf("process %d", p.host)
}

// order asks a host for something.
func (p *process) order(o order) error {
	line, _ := json.Marshal(o) // strings only
	if _, err := p.in.Write(append(line, '\n')); err != nil {
		return fmt.Errorf("%s: %w", p, err)
	}
	return nil
}

// kill ends the process as a power cut does. SIGKILL can't be caught.
func (p *process) kill() { _ = p.cmd.Process.Kill() } // fails only when it has ended already

// peak returns the most memory that the process ever had resident, in bytes: 0 on a
// system that does not tell as Linux does.
func (p *process) peak() int64 {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(b)) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kb, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64)
			if err == nil {
				return kb << 10
			}
		}
	}
	return 0
}
