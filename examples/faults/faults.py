"""Does, on purpose, what ends a program: the system names program, address and cause, and nothing else notices."""

import ctypes
import mmap
import os
import subprocess
import sys
import threading

ILLEGAL_INSTRUCTION = b"\x0f\x0b"  # ud2
DIVIDE_BY_ZERO = b"\x31\xc0\x31\xd2\xf7\xf0"  # xor eax,eax; xor edx,edx; div eax
PRIVILEGED = b"\xf4"  # hlt
CALL_ITSELF = b"\xe8\xfb\xff\xff\xff"  # call to this very instruction


def execute(code, protection=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC):
    memory = mmap.mmap(-1, mmap.PAGESIZE, prot=protection | mmap.PROT_WRITE)
    memory.write(code)
    ctypes.CFUNCTYPE(None)(ctypes.addressof(ctypes.c_char.from_buffer(memory)))()


def fill_memory():
    kept = []
    try:
        while True:
            kept.append(bytes([len(kept) % 256]) * (1 << 20))
    except MemoryError:
        megabytes = len(kept)
        kept.clear()
        print(f"faults: refused after {megabytes} MiB with MemoryError, and still running", flush=True)


def flaky():
    lives = 1 + int(os.environ.get("AIOS_RESTARTS", "0"))
    print(f"faults: life {lives}", flush=True)
    if lives < 3:
        ctypes.memset(0, 1, 1)
    print("faults: well again", flush=True)


def child(case="null-write"):
    ended = subprocess.run([sys.executable, sys.argv[0], case]).returncode
    print(f"faults: the child ended with {ended}, and its parent goes on", flush=True)


CASES = {
    "null-write": lambda: ctypes.memset(0, 1, 1),
    "null-read": lambda: ctypes.memmove(ctypes.create_string_buffer(1), 0, 1),
    "wild-write": lambda: ctypes.memset(0x123456789000, 1, 1),
    "read-only": lambda: ctypes.memset(ctypes.cast(ctypes.pythonapi.Py_GetVersion, ctypes.c_void_p).value, 1, 1),
    "kernel-address": lambda: ctypes.memmove(ctypes.create_string_buffer(1), 0xFFFF_FFFF_8000_0000, 1),
    "execute-data": lambda: execute(b"\xc3", mmap.PROT_READ),
    "illegal-instruction": lambda: execute(ILLEGAL_INSTRUCTION),
    "privileged": lambda: execute(PRIVILEGED),
    "divide": lambda: execute(DIVIDE_BY_ZERO),
    "stack-overflow": lambda: execute(CALL_ITSELF),
    "in-a-thread": lambda: threading.Thread(target=ctypes.memset, args=(0, 1, 1)).start(),
    "memory": fill_memory,
    "abort": os.abort,
    "child": child,
    "child-abort": lambda: child("abort"),
    "flaky": flaky,
}

if __name__ == "__main__":
    case = sys.argv[1] if len(sys.argv) > 1 else "null-write"
    if case not in CASES:
        sys.exit(f"faults: no case `{case}`; there are: {', '.join(CASES)}")
    print(f"faults: now {case}", flush=True)
    CASES[case]()
