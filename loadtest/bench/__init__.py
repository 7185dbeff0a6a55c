"""`make bench`: what the gateway costs and adds, beside a control and nginx, in one run on one machine."""
