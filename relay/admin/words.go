package admin

import (
	"fmt"
	"math"
	"strconv"
	"time"
)

// count is a number with its thousands apart.
func count(n float64) string {
	digits := strconv.FormatFloat(math.Round(n), 'f', 0, 64)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "\u202f" + digits[i:]
	}
	return digits
}

// size is one in bytes.
func size(n float64) string {
	for _, unit := range []string{"B", "kB", "MB", "GB"} {
		if math.Abs(n) < 1000 {
			return short(n) + " " + unit
		}
		n /= 1000
	}
	return short(n) + " TB"
}

// short has three digits at most, or what stands before the point.
func short(n float64) string {
	if n >= 100 || n == math.Trunc(n) {
		return strconv.FormatFloat(n, 'f', 0, 64)
	}
	return strconv.FormatFloat(n, 'g', 3, 64)
}

func seconds(n float64) string {
	switch {
	case n == 0:
		return "0 s"
	case n < 1:
		return fmt.Sprintf("%.0f ms", max(1, n*1000))
	case n < 60:
		return short(n) + " s"
	}
	return ago(time.Duration(n * float64(time.Second)))
}

// ago is a duration in its two largest units.
func ago(d time.Duration) string {
	s := int(d / time.Second)
	switch {
	case s < 60:
		return fmt.Sprintf("%d s", max(0, s))
	case s < 3600:
		return fmt.Sprintf("%d min %d s", s/60, s%60)
	case s < 86400:
		return fmt.Sprintf("%d h %d min", s/3600, s/60%60)
	}
	return fmt.Sprintf("%d d %d h", s/86400, s/3600%24)
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05") + " UTC" }
