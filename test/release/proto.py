"""Whether one version of cdc.proto can take the place of another: who has code made of the old one reads what is written
by the new one, and the other way round.

  test/release/proto.py OLD.proto NEW.proto    says what cannot, and fails if something
  test/release/proto.py --proof                breaks each rule in a small file, and expects it to be found

A message, a field, an enum or a value of the old one is in the new one with its number, its name (the JSON form has it)
and its type. There may be more of each, but for fields of a oneof that were none, and the other way round.
"""
import pathlib
import subprocess
import sys
import tempfile

from google.protobuf import descriptor_pb2


def load(text):
    with tempfile.TemporaryDirectory() as folder:
        (pathlib.Path(folder) / "x.proto").write_text(text)
        subprocess.run(["protoc", f"-I{folder}", f"--descriptor_set_out={folder}/set", "x.proto"], check=True)
        files = descriptor_pb2.FileDescriptorSet.FromString((pathlib.Path(folder) / "set").read_bytes())
    return files.file[0]


def oneof(message, field):
    return message.oneof_decl[field.oneof_index].name if field.HasField("oneof_index") else None


def packed(field):
    """As proto3 has it where nothing is said."""
    return field.options.packed if field.options.HasField("packed") else True


def fields(old, new, path):
    now = {f.number: f for f in new.field}
    for field in old.field:
        name, other = f"{path}.{field.name}", now.get(field.number)
        if other is None:
            yield f"{name}: number {field.number} is gone"
            continue
        for what, was, is_ in (("name", field.name, other.name), ("type", (field.type, field.type_name), (other.type, other.type_name)),
                               ("label", field.label, other.label), ("oneof", oneof(old, field), oneof(new, other)),
                               ("packing", packed(field), packed(other))):
            if was != is_:
                yield f"{name}: {what} is another one"


def values(old, new, path):
    now = {v.number: v.name for v in new.value}
    for value in old.value:
        if now.get(value.number) != value.name:
            yield f"{path}.{value.name}: {value.number} is {now.get(value.number, 'gone')}"


def elements(old, new, path):
    """Messages and enums, in a file or in a message."""
    nested = "message_type" if isinstance(old, descriptor_pb2.FileDescriptorProto) else "nested_type"
    for kind, compare in ((nested, messages), ("enum_type", values)):
        now = {e.name: e for e in getattr(new, kind)}
        for element in getattr(old, kind):
            name = f"{path}.{element.name}"
            if element.name in now:
                yield from compare(element, now[element.name], name)
            else:
                yield f"{name} is gone"


def messages(old, new, path):
    yield from fields(old, new, path)
    yield from elements(old, new, path)


def broken(old, new):
    old, new = load(old), load(new)
    if (old.package, old.syntax) != (new.package, new.syntax):
        yield "package or syntax is another one"
    yield from elements(old, new, old.package)


SOUND = """syntax = "proto3"; package p;
message A { int32 x = 1; repeated int32 y = 2; oneof o { int32 a = 3; E b = 4; } map<string, string> m = 5; message I { int32 z = 1; } }
message B { A a = 1; }
enum E { E_ZERO = 0; E_ONE = 1; }
"""
# what it is replaced by, and whether that breaks something
CHANGES = [
    ("message B {", "message B { int32 more = 9;", False),
    ("E_ONE = 1;", "E_ONE = 1; E_TWO = 2;", False),
    ("message B", "message C {} message B", False),
    ("int32 x = 1;", "", True),
    ("int32 x = 1", "int32 w = 1", True),
    ("int32 x = 1", "int32 x = 7", True),
    ("int32 x = 1", "int64 x = 1", True),
    ("int32 x = 1", "repeated int32 x = 1", True),
    ("y = 2", "y = 2 [packed = false]", True),
    ("E b = 4; }", "} E b = 4;", True),
    ("E_ONE = 1", "E_ONE = 2", True),
    ("E_ONE = 1", "E_EIN = 1", True),
    ("E_ONE = 1;", "", True),
    ("message B { A a = 1; }", "", True),
    ("int32 z = 1", "int32 z = 2", True),
    ("map<string, string>", "map<string, int32>", True),
    ("package p", "package q", True),
]


def proof():
    missed = [f"{was} -> {is_}" for was, is_, breaks in CHANGES if bool(list(broken(SOUND, SOUND.replace(was, is_)))) != breaks]
    print("\n".join(missed))
    return 1 if missed else 0


def main():
    if sys.argv[1:] == ["--proof"]:
        return proof()
    found = list(broken(*(pathlib.Path(name).read_text() for name in sys.argv[1:])))
    print("\n".join(found))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
