"""Subscription events, whose names differ between ROS distributions."""

from __future__ import annotations

from collections.abc import Callable

try:
    from rclpy.event_handler import SubscriptionEventCallbacks
except ImportError:  # Humble
    from rclpy.qos_event import SubscriptionEventCallbacks


def subscription_events(
    *, lost: Callable[[int], None], incompatible: Callable[[int], None]
) -> SubscriptionEventCallbacks:
    """Callbacks that get how many more messages were lost, and how many more publishers have an unsuitable QoS."""
    return SubscriptionEventCallbacks(
        message_lost=lambda event: lost(event.total_count_change),
        incompatible_qos=lambda event: incompatible(event.total_count_change),
    )
