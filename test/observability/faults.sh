#!/bin/bash
# Ten faults in a set-up that is alive: see faults.py. Output is TAP.
exec "$(dirname "${BASH_SOURCE[0]}")/live.sh" faults
