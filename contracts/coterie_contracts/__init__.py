"""What crosses a boundary between Coterie's services, and nothing else.

Producers are closed and consumers tolerant: a model written here emits exactly its fields, and
reads a message that carries more. Names, versions and partition keys stand in `topics`.
"""
