"""Run the stand-ins: `python -m tools.fakes --port 8788 --state DIR --webhook URL=SECRET`."""

import argparse
from pathlib import Path

from tools.fakes.server import API_KEY, HOST, listen, prepare


def main() -> None:
    """Serve until interrupted."""
    parser = argparse.ArgumentParser(prog="python -m tools.fakes", description=__doc__)
    parser.add_argument("--port", type=int, default=8788)
    parser.add_argument("--state", type=Path, required=True, help="folder that the state is kept in")
    parser.add_argument("--clock-file", type=Path, help="file that the clock's offset is published in")
    parser.add_argument("--webhook", action="append", default=[], metavar="URL=SECRET", type=_webhook)
    parser.add_argument("--api-key", default=API_KEY, help="the key that Stripe's API accepts")
    options = parser.parse_args()
    sock = listen(options.port)
    server, world = prepare(sock, options.state, options.clock_file, dict(options.webhook), options.api_key)
    print(f"Stand-ins at http://{HOST}:{sock.getsockname()[1]}", flush=True)
    try:
        server.run(sockets=[sock])
    finally:
        world.store.close()


def _webhook(text: str) -> tuple[str, str]:
    url, joint, secret = text.rpartition("=")
    if not joint or not url.startswith(("http://", "https://")) or not secret:
        raise argparse.ArgumentTypeError(
            "want URL=SECRET, as in http://127.0.0.1:8787/webhooks/stripe=whsec_localstackonly000000000000"
        )
    return url, secret


if __name__ == "__main__":
    main()
