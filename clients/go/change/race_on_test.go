//go:build race

package change

const raceDetector = true
