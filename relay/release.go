package relay

// Version of this module, and of its command cdc-relay.
const Version = "1.0.0"
