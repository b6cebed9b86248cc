"""A folder to put first in PYTHONPATH: what lies in it changes a process's surroundings, and none of its code."""
