"""What runs on a builder's host: a build that outlives its connection, and the commands that follow it.

`python -m efsprov.builders.remote start` reads one JSON message and returns when the build runs, detached;
`attach` prints what it has to say, as JSON lines with numbers, from any number on; `cancel` stops it; `remove` forgets
it. The modules here need the pipeline's dependencies and nothing else.
"""
