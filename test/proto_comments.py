"""Finds what cdc.proto leaves unexplained, given its descriptor set with source information.

A message, an enum, a field and an enum value need a comment above them, or stand directly below, without a blank
line, something of the same kind that has one. A zero value that only says "unspecified" needs none, and the *Array
messages are explained together.
"""
import sys

from google.protobuf import descriptor_pb2

problems = []


def problem(what, why):
    problems.append(f"{what}: {why}")


def explained(spans, path, previous):
    """Whether the element at `path` has a comment, or continues the one at `previous`, which has."""
    location = spans[path]
    if location.leading_comments.strip() or location.trailing_comments.strip():
        return True
    if previous is None:
        return False
    before = spans[previous].span
    last_line = before[2] if len(before) == 4 else before[0]
    return location.span[0] == last_line + 1


def check(spans, owner, field_tag, path, elements, exempt):
    previous = None
    for i, element in enumerate(elements):
        here = path + (field_tag, i)
        if explained(spans, here, previous) or exempt(element):
            previous = here
        else:
            problem(f"{owner}.{element.name}", "no comment")
            previous = None


def main():
    files = descriptor_pb2.FileDescriptorSet()
    with open(sys.argv[1], "rb") as f:
        files.ParseFromString(f.read())
    (file,) = files.file
    spans = {tuple(location.path): location for location in file.source_code_info.location}

    for m, message in enumerate(file.message_type):
        if not spans[4, m].leading_comments.strip():
            problem(message.name, "no comment")
        array = message.name.endswith("Array")
        check(spans, message.name, 2, (4, m), message.field, lambda _: array)
        for field in message.field:
            if field.proto3_optional:
                problem(f"{message.name}.{field.name}", "is optional, which protobuf-c does not read")

    for e, enum in enumerate(file.enum_type):
        if not spans[5, e].leading_comments.strip():
            problem(enum.name, "no comment")
        prefix = "".join("_" + c if c.isupper() else c.upper() for c in enum.name)[1:] + "_"
        check(spans, enum.name, 2, (5, e), enum.value, lambda v: v.number == 0)
        for value in enum.value:
            if not value.name.startswith(prefix):
                problem(f"{enum.name}.{value.name}", f"does not start with {prefix}")

    print("\n".join(problems))
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
