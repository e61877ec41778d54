// Probe is what the tests run inside pods: it listens, connects, waits and takes memory.
//
//	probe serve 8000/tcp 5353/udp   answer on these ports until SIGTERM
//	probe connect tcp HOST PORT     print "open", or "closed" and why; always ends with 0
//	probe wait                      do nothing until SIGTERM
//	probe take MEGABYTES            take memory, then wait
//	probe devices                   print the names below /dev
package main

import (
	"fmt"
	"net"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Patience of one try to connect. A packet that is dropped gives no answer.
const patience = 2 * time.Second

func main() {
	if len(os.Args) < 2 {
		fail("serve, connect, wait, take or devices?")
	}
	arguments := os.Args[2:]
	switch os.Args[1] {
	case "serve":
		for _, each := range arguments {
			serve(each)
		}
		wait()
	case "connect":
		connect(arguments)
	case "wait":
		wait()
	case "take":
		take(arguments)
		wait()
	case "devices":
		devices()
	default:
		fail("unknown: " + os.Args[1])
	}
}

func fail(reason string) {
	fmt.Fprintln(os.Stderr, reason)
	os.Exit(2)
}

func wait() {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	<-signals
}

func serve(each string) {
	port, protocol, _ := strings.Cut(each, "/")
	if protocol == "udp" {
		line, err := net.ListenPacket("udp", ":"+port)
		if err != nil {
			fail(err.Error())
		}
		go func() {
			buffer := make([]byte, 1500)
			for {
				if size, from, err := line.ReadFrom(buffer); err == nil {
					line.WriteTo(buffer[:size], from)
				}
			}
		}()
		return
	}
	listener, err := net.Listen("tcp", ":"+port)
	if err != nil {
		fail(err.Error())
	}
	go func() {
		for {
			if line, err := listener.Accept(); err == nil {
				line.Write([]byte("hello\n"))
				line.Close()
			}
		}
	}()
}

func connect(arguments []string) {
	if len(arguments) != 3 {
		fail("connect PROTOCOL HOST PORT")
	}
	protocol, address := arguments[0], net.JoinHostPort(arguments[1], arguments[2])
	line, err := net.DialTimeout(protocol, address, patience)
	if err == nil && protocol == "udp" {
		err = echo(line)
	}
	if err != nil {
		fmt.Println("closed", err)
		return
	}
	fmt.Println("open")
}

// Echo tells whether the other side answers: UDP itself says nothing.
func echo(line net.Conn) error {
	line.SetDeadline(time.Now().Add(patience))
	if _, err := line.Write([]byte("hello\n")); err != nil {
		return err
	}
	_, err := line.Read(make([]byte, 16))
	return err
}

var taken [][]byte

func take(arguments []string) {
	megabytes := 0
	if len(arguments) == 1 {
		megabytes, _ = strconv.Atoi(arguments[0])
	}
	for range megabytes {
		piece := make([]byte, 1<<20)
		for at := 0; at < len(piece); at += 4096 {
			piece[at] = 1
		}
		taken = append(taken, piece)
	}
	fmt.Println("taken", megabytes)
}

func devices() {
	entries, err := os.ReadDir("/dev")
	if err != nil {
		fail(err.Error())
	}
	for _, each := range entries {
		fmt.Println(each.Name())
	}
}
