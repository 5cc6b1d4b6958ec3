"""What is sent: speech as packets, who speaks when, and the processes that send it."""
