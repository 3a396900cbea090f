"""Digest of a tree of texts: how much there is, which words carry it, which terms go together.

Processes share out the files, threads in each process overlap the reading; the result does not depend on either.
"""

import argparse
import json
import os
import re
import sys
from collections import Counter
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from itertools import combinations
from pathlib import Path

KINDS = {".md", ".rs", ".py", ".toml"}
SKIP = {"target", "node_modules", "__pycache__"}
WORD = re.compile(r"[A-Za-z][a-z]{3,}")
COMMON = set("""about after also always because been before between both cannot could does each else even every first
from have here into itself just like made make more most must never none nothing only other others over same self shall
should some such take than that their them then there these they this those through under until upon used uses using
very want were what when where which while whose will with within without would your""".split())


def find(root):
    for folder, folders, files in os.walk(root):
        folders[:] = sorted(name for name in folders if name not in SKIP and not name.startswith("."))
        for name in sorted(files):
            if Path(name).suffix in KINDS:
                yield os.path.join(folder, name)


def read(path):
    with open(path, encoding="utf-8", errors="replace") as file:
        return path, file.read()


def words(text):
    return (word for word in map(str.lower, WORD.findall(text)) if word not in COMMON)


def count(paths):
    """Lines and bytes by kind of file, and how often each word occurs."""
    kinds, seen = {}, Counter()
    with ThreadPoolExecutor(4) as threads:
        for path, text in threads.map(read, paths):
            kind = kinds.setdefault(Path(path).suffix, Counter())
            kind.update(files=1, lines=text.count("\n"), bytes=len(text.encode()))
            seen.update(words(text))
    return kinds, seen


def connect(job):
    """How often two of the terms stand in the same paragraph."""
    paths, terms = job
    pairs = Counter()
    with ThreadPoolExecutor(4) as threads:
        for _, text in threads.map(read, paths):
            for paragraph in text.split("\n\n"):
                pairs.update(combinations(sorted(terms.intersection(words(paragraph))), 2))
    return pairs


def best(counter, top):
    return sorted(counter.items(), key=lambda item: (-item[1], item[0]))[:top]


def digest(root, top, workers, tell):
    paths = list(find(root))
    shares = [share for share in (paths[start :: workers * 4] for start in range(workers * 4)) if share]
    tell(f"digest: {len(paths)} files in {len(shares)} shares, {workers} processes")
    kinds, seen, pairs = {}, Counter(), Counter()
    with ProcessPoolExecutor(workers) as pool:
        for part, found in pool.map(count, shares):
            for kind, numbers in part.items():
                kinds.setdefault(kind, Counter()).update(numbers)
            seen.update(found)
        tell(f"digest: {seen.total()} words counted, connecting terms")
        terms = {word for word, _ in best(seen, 80)}
        for part in pool.map(connect, [(share, terms) for share in shares]):
            pairs.update(part)
    links = Counter()
    for (one, other), times in pairs.items():
        links.update({one: times, other: times})
    return {
        "total": dict(sum(kinds.values(), Counter())) | {"words": seen.total(), "distinct_words": len(seen)},
        "kinds": {kind.lstrip("."): dict(numbers) for kind, numbers in sorted(kinds.items())},
        "words": [{"word": word, "count": times} for word, times in best(seen, top)],
        "connected": [{"term": term, "links": times} for term, times in best(links, top)],
        "pairs": [{"terms": list(pair), "paragraphs": times} for pair, times in best(pairs, top)],
    }


def progress(line):
    print(line, file=sys.stderr, flush=True)


def silence(_):
    """Standard error is on the console too: JSON that goes into a pipe comes alone."""


def show(result):
    total = result["total"]
    print(f"{total['files']} files, {total['lines']} lines, {total['words']} words ({total['distinct_words']} distinct)\n")
    for kind, numbers in result["kinds"].items():
        print(f"  {kind:6}{numbers['files']:6} files {numbers['lines']:8} lines {numbers['bytes']:10} bytes")
    print("\nMost frequent words")
    for row in result["words"]:
        print(f"  {row['count']:6}  {row['word']}")
    print("\nMost connected terms")
    for row in result["connected"]:
        print(f"  {row['links']:6}  {row['term']}")
    print("\nTerms that stand together")
    for row in result["pairs"]:
        print(f"  {row['paragraphs']:6}  {' + '.join(row['terms'])}")
    print()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Digest of the texts under a directory")
    parser.add_argument("root", nargs="?", default="/share")
    parser.add_argument("--top", type=int, default=10, help="rows in each list (default 10)")
    parser.add_argument("--workers", type=int, default=max(2, os.cpu_count() or 1), help="processes")
    parser.add_argument("--json-only", action="store_true", help="print nothing but the JSON")
    options = parser.parse_args()
    result = digest(options.root, options.top, options.workers, silence if options.json_only else progress)
    if not result["kinds"]:
        sys.exit(f"digest: no {', '.join(sorted(KINDS))} files under {options.root}")
    if not options.json_only:
        show(result)
    print(json.dumps(result, indent=None if options.json_only else 2))
