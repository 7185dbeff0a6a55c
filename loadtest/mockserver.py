"""An OpenAI-shaped provider on loopback, for load tests and as the scripted provider of the test suite.

    python -m loadtest.mockserver --port 9999 --latency 50ms --chunks 3

The latency is waited once before a plain answer and before each chunk of a stream. The model's name may ask for a
fault (`loadtest/README.md` lists them); in tests `MockServer.script` says exactly what is answered.
"""

from loadtest.upstream.answer import Answer
from loadtest.upstream.cli import main
from loadtest.upstream.hit import Hit
from loadtest.upstream.server import MockServer, in_thread
from loadtest.upstream.websocket import Socket

__all__ = ["Answer", "Hit", "MockServer", "Socket", "in_thread"]

if __name__ == "__main__":
    main()
