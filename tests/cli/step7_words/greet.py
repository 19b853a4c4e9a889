"""A program of the step."""

import sys

if __name__ == "__main__":
    print(f"{sys.argv[0]} greets {' '.join(sys.argv[1:])}")
    sys.exit(4)
