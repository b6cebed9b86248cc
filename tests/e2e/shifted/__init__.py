"""A folder to put first in PYTHONPATH: its files change a process's surroundings, and none of its code."""
