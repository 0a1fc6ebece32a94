package change

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"os"

	"github.com/pgcdc/cdc/clients/go/fault"
)

// spill is a file of parts of one transaction. It has no name any more, where the
// system allows that, so that no crash leaves it behind; nobody else can read it.
type spill struct {
	file *os.File
	size int64
	aead cipher.AEAD // nil: not encrypted
	name string      // where the file has to be removed at the end
}

func newSpill(dir string, aead cipher.AEAD) (*spill, error) {
	file, err := os.CreateTemp(dir, "cdc-spill-*") // mode 0600
	if err != nil {
		return nil, err
	}
	s := &spill{file: file, aead: aead}
	if os.Remove(file.Name()) != nil {
		s.name = file.Name()
	}
	return s, nil
}

// newAEAD makes AES-256-GCM of a key, or nil of none.
func newAEAD(key []byte) (cipher.AEAD, error) {
	if len(key) == 0 {
		return nil, nil
	}
	if len(key) != 32 {
		return nil, fmt.Errorf("cdc: the key to spill with has %d bytes, not 32", len(key))
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

// part says where a record is.
type spilled struct {
	at   int64
	size int
}

// A record is bound to its place, so that none can be taken for another.
func place(at int64) []byte { return binary.BigEndian.AppendUint64(nil, uint64(at)) }

func (s *spill) write(data []byte) (spilled, error) {
	if s.aead != nil {
		nonce := make([]byte, s.aead.NonceSize(), s.aead.NonceSize()+len(data)+s.aead.Overhead())
		if _, err := rand.Read(nonce); err != nil {
			return spilled{}, err
		}
		data = s.aead.Seal(nonce, nonce, data, place(s.size))
	}
	p := spilled{s.size, len(data)}
	if _, err := s.file.WriteAt(data, s.size); err != nil {
		return spilled{}, err
	}
	s.size += int64(len(data))
	return p, nil
}

func (s *spill) read(p spilled) ([]byte, error) {
	data := make([]byte, p.size)
	if _, err := s.file.ReadAt(data, p.at); err != nil {
		return nil, err
	}
	if s.aead == nil {
		return data, nil
	}
	n := s.aead.NonceSize()
	if len(data) < n {
		return nil, fault.Damaged("spilled part is cut")
	}
	plain, err := s.aead.Open(data[n:n], data[:n], data[n:], place(p.at))
	if err != nil {
		return nil, fault.DamagedBy("spilled part", err)
	}
	return plain, nil
}

func (s *spill) close() {
	_ = s.file.Close()
	if s.name != "" {
		_ = os.Remove(s.name)
	}
}
