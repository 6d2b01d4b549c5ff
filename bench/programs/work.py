"""work.py ROUNDS: what Python programs do: dictionaries, strings, floats, objects, generators, JSON, regular expressions.
Prints the same on every version of Python."""
import json
import math
import re
import sys


def primes(limit):
    sieve = bytearray([1]) * limit
    sieve[0] = sieve[1] = 0
    for i in range(2, int(limit**0.5) + 1):
        if sieve[i]:
            sieve[i * i :: i] = bytes(len(range(i * i, limit, i)))
    return sum(i for i, flag in enumerate(sieve) if flag)


def words(seed, count):
    state = seed
    for _ in range(count):
        state = (state * 1103515245 + 12345) & 0x7FFFFFFF
        yield "".join(chr(97 + (state >> shift) % 26) for shift in (3, 9, 14))


def count_words(seed):
    counts = {}
    for word in words(seed, 800):
        counts[word] = counts.get(word, 0) + 1
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:5]


class Vector:
    def __init__(self, x, y, z):
        self.x, self.y, self.z = x, y, z

    def __add__(self, other):
        return Vector(self.x + other.x, self.y + other.y, self.z + other.z)

    def scaled(self, factor):
        return Vector(self.x * factor, self.y * factor, self.z * factor)

    def length(self):
        return math.sqrt(self.x * self.x + self.y * self.y + self.z * self.z)


def flight(steps):
    position, velocity = Vector(1.0, 0.0, 0.5), Vector(0.0, 0.9, 0.1)
    for _ in range(steps):
        velocity += position.scaled(-0.001 / position.length() ** 3)
        position += velocity.scaled(0.001)
    return f"{position.x:.6f} {position.y:.6f} {position.z:.6f}"


def queens(size, row=0, columns=0, left=0, right=0):
    if row == size:
        return 1
    found = 0
    for column in range(size):
        bit, l, r = 1 << column, 1 << (row + column), 1 << (row - column + size)
        if not (columns & bit or left & l or right & r):
            found += queens(size, row + 1, columns | bit, left | l, right | r)
    return found


def text_and_json(seed):
    records = [{"name": word, "value": i * 0.25, "tags": [word[0], word[-1]]} for i, word in enumerate(words(seed, 80))]
    text = json.dumps(records, indent=1)
    vowels = len(re.findall(r'"name": "[aeiou][a-z]+"', text))
    back = json.loads(text)
    return vowels, len(text), sum(record["value"] for record in back), len("".join(text.split()).replace("name", "n"))


def main():
    for i in range(int(sys.argv[1])):
        print(primes(10000), count_words(i), flight(400), queens(5), *text_and_json(i))


main()
