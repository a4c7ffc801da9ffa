//! Delivery: pushes each room's messages to its presenter's socket.
