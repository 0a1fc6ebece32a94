"""Brokers of one node each, for bench/relay."""

import glob
import os
import socket
import subprocess
import time

WORK = os.environ.get("WORK", "")

PROPERTIES = """process.roles=broker,controller
node.id=1
controller.quorum.voters=1@{controller}
listeners=PLAINTEXT://{address},CONTROLLER://{controller}
advertised.listeners=PLAINTEXT://{address}
controller.listener.names=CONTROLLER
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT
log.dirs={folder}/data
offsets.topic.replication.factor=1
offsets.topic.num.partitions=3
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=3
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
auto.create.topics.enable=false
message.max.bytes=4194304
"""


def free_address():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{s.getsockname()[1]}"


def wait_for(address, process, seconds=300):
    host, port = address.split(":")
    for _ in range(seconds * 10):
        if process.poll() is not None:
            raise RuntimeError(f"{process.args[0]} has ended with {process.returncode}")
        try:
            socket.create_connection((host, int(port)), 1).close()
            return
        except OSError:
            time.sleep(0.1)
    raise RuntimeError(f"nothing listens at {address}")


def size_of(pattern):
    return sum(os.path.getsize(name) for name in glob.glob(pattern, recursive=True))


class Kafka:
    """One node; its log is the folder data."""

    name = "Kafka"

    def __init__(self):
        self.folder = f"{WORK}/kafka"
        os.makedirs(self.folder, exist_ok=True)
        self.address, controller = free_address(), free_address()
        with open(f"{self.folder}/server.properties", "w") as f:
            f.write(PROPERTIES.format(address=self.address, controller=controller, folder=self.folder))
        java = ["java", "-Xms256m", "-Xmx512m", "-cp", os.environ["KAFKA"] + "/*"]
        with open(f"{WORK}/logs/kafka.log", "w") as log:
            subprocess.run([*java, "kafka.tools.StorageTool", "format", "-t", "MkU3OEVBNTcwNTJENDM2Qg",
                            "-c", "server.properties"], cwd=self.folder, check=True, stdout=log, stderr=log)
            self.process = subprocess.Popen([*java, "kafka.Kafka", "server.properties"], cwd=self.folder, stdout=log, stderr=log)
        wait_for(self.address, self.process)

    def settings(self, prefix, partitions):
        return (f'[relay]\nprefix = "{prefix}"\n[kafka]\nbrokers = ["{self.address}"]\ncreate_topics = true\n'
                f"partitions = {partitions}\nreplication = 1\n")

    def reader(self, prefix):
        return ["--kafka", self.address, "--topics", rf"^{prefix}\.public\..*"]

    def bytes(self, prefix):
        return size_of(f"{self.folder}/data/{prefix}.public.*/*.log")

    def stop(self):
        self.process.terminate()
        self.process.wait()


class NATS:
    """A server of its own."""

    name = "JetStream"

    def __init__(self):
        self.folder, self.address = f"{WORK}/nats", free_address()
        host, port = self.address.split(":")
        with open(f"{WORK}/logs/nats.log", "w") as log:
            self.process = subprocess.Popen([f"{WORK}/bin/nats-server", "-js", "-a", host, "-p", port, "-sd", self.folder],
                                            stdout=log, stderr=log)
        wait_for(self.address, self.process)

    def settings(self, prefix, partitions):
        return (f'[relay]\nprefix = "{prefix}"\n[nats]\nurl = "nats://{self.address}"\ncreate = true\n'
                f'stream = "{prefix}"\npartitions = {partitions}\nhold_back = "0s"\n')

    def reader(self, prefix):
        return ["--nats", f"nats://{self.address}", "--stream", prefix]

    def bytes(self, prefix):
        return size_of(f"{self.folder}/**/streams/{prefix}/msgs/*.blk")

    def stop(self):
        self.process.terminate()
        self.process.wait()


class Embedded:
    """The server inside of the relay, whose figures are those of both then."""

    name = "JetStream inside"

    def __init__(self):
        self.folder, self.address = f"{WORK}/embedded", free_address()

    def settings(self, prefix, partitions):
        return (f'[relay]\nprefix = "{prefix}"\n[nats]\nembedded = "{self.folder}"\nlisten = "{self.address}"\n'
                f'stream = "{prefix}"\npartitions = {partitions}\nhold_back = "0s"\n')

    def reader(self, prefix):
        return ["--nats", f"nats://{self.address}", "--stream", prefix]

    def bytes(self, prefix):
        return size_of(f"{self.folder}/**/streams/{prefix}/msgs/*.blk")

    def stop(self):
        pass
