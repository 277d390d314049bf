"""``import gpu_workbench as gw``: the same as the magics, as functions; ``gw.aio`` holds their awaitable twins.

What is done stands once, as coroutines in :mod:`~gpu_workbench.surfaces.sdk.core`, which run in the portal's event loop.
:mod:`~gpu_workbench.surfaces.sdk.blocking` waits for them, :mod:`~gpu_workbench.surfaces.sdk.aio` awaits them.
"""
