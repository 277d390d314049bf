"""h11 and wsproto, from the agent's own archive where there is one, else as installed."""

from __future__ import annotations

try:
    from _gwb_vendor import h11, wsproto  # type: ignore[import-not-found,unused-ignore]
    from _gwb_vendor.wsproto import events as ws_events  # type: ignore[import-not-found,unused-ignore]
    from _gwb_vendor.wsproto import handshake as ws_handshake  # type: ignore[import-not-found,unused-ignore]
except ImportError:
    import h11
    import wsproto
    from wsproto import events as ws_events
    from wsproto import handshake as ws_handshake

__all__ = ["h11", "ws_events", "ws_handshake", "wsproto"]
