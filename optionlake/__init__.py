"""The command line and the composition root: the only package that knows all the others.

Settings are read here and handed down; what a program does belongs in that program's package.
"""
