"""What the checks of deploy/ have in common. Most of them read files; none needs a container engine."""
