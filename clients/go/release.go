package cdc

// Version of this module. It reads the streams of every server of the same major version.
const Version = "1.0.0"
