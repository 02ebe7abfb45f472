#!/bin/sh
# Notes every package, and every file of /etc and /var/lib with its owner, mode, size and time of change, in the file named.
{
    dpkg-query --show
    find /etc /var/lib /usr /opt /srv -xdev ! -path '/var/lib/systemd/*' ! -path '/usr/*/__pycache__*' -printf '%p %u %g %m %s %T@ %l\n' | sort
} > "$1"
