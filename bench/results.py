"""The file of results, and what they were measured on."""

import json
import os
import platform


def processor():
    with open("/proc/cpuinfo") as f:
        names = [line.split(":", 1)[1].strip() for line in f if line.startswith("model name")]
    return names[0] if names else platform.machine()


def describe(sql):
    sql.execute("SELECT current_setting('server_version'), current_setting('logical_decoding_work_mem')")
    version, work_mem = sql.fetchone()
    return {"server": f"PostgreSQL {version}", "logical_decoding_work_mem": work_mem,
            "processors": os.cpu_count(), "processor": processor(), "kernel": platform.release()}


class Results:
    """Written anew after each addition, so that a run that is broken off leaves
    what it had. bench/lib.sh has opened the file."""

    def __init__(self, about):
        self.about = about
        self.all = []
        self.file = os.fdopen(3, "w")

    def add(self, result):
        self.all.append(result)
        if self.file.seekable():
            self.file.seek(0)
            self.file.truncate()
            json.dump(self.about | {"results": self.all}, self.file)
            self.file.write("\n")
            self.file.flush()
