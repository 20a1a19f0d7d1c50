"""What the commands ``lightning`` and ``crossdomain`` do, and what they say."""
