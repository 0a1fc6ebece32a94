package value

import (
	"math"
	"time"

	"github.com/pgcdc/cdc/clients/go/internal/wire"
)

// Interval has three parts that do not convert into one another. Those of an
// infinite one (PostgreSQL 17) are all the least or all the greatest that the
// server has: see Infinity.
type Interval struct{ Months, Days, Microseconds int64 }

// Infinity is 1 for infinity, -1 for -infinity, 0 for all others.
func (i Interval) Infinity() int {
	switch i {
	case Interval{math.MaxInt32, math.MaxInt32, math.MaxInt64}:
		return 1
	case Interval{math.MinInt32, math.MinInt32, math.MinInt64}:
		return -1
	}
	return 0
}

// Duration is the interval as a time.Duration, if it has microseconds alone and
// they are within the range of about 292 years.
func (i Interval) Duration() (d time.Duration, ok bool) {
	if i.Months != 0 || i.Days != 0 ||
		i.Microseconds > math.MaxInt64/1000 || i.Microseconds < math.MinInt64/1000 {
		return 0, false
	}
	return time.Duration(i.Microseconds) * time.Microsecond, true
}

func (i Interval) infinity() string {
	return [...]string{"-infinity", "", "infinity"}[i.Infinity()+1]
}

func parseInterval(raw []byte) (Interval, error) {
	var p [3]uint64
	err := smallMessage(raw, p[:])
	return Interval{wire.Unzigzag(p[0]), wire.Unzigzag(p[1]), wire.Unzigzag(p[2])}, err
}
