"""Something to import that takes longer than anybody waits."""

import time

time.sleep(600)
