"""What every provider of the `Cloud` port promises, as checks that run against any: memory, the wire, a real account.

Each promise is a function whose name is its sentence; it makes what it needs on its `Stage` and clears up after itself.
"""
