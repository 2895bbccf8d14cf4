"""Parts that several pages draw: messages, progress of jobs, and text."""
