# Copyright: ailab.hub contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Servers in what `nginx -T` prints."""

from __future__ import annotations

import pytest
from ansible_collections.ailab.hub.plugins.module_utils import _nginx_config as nginx_config

PRINTED = r"""# configuration file /etc/nginx/nginx.conf:
user www-data;
events { worker_connections 768; }
http {
    log_format main '$remote_addr "$request" ; { not a block';
    map $uri $new { default ""; "~^/(a|b);$" "x{y}"; }
    upstream app { server 127.0.0.1:3000; server 127.0.0.1:3001; }
    include /etc/nginx/sites-enabled/*;
}
stream { server { listen 5432; proxy_pass db; } }
# configuration file /etc/nginx/sites-enabled/default:
# server { server_name commented.example.org; }
server {
    listen 80 default_server;
    listen [::]:80 default_server;
    server_name _;
    location / { if ($host = other.example.org) { return 301 /x${uri}y; } }
}
# configuration file /etc/nginx/sites-enabled/wiki:
server{listen 443 ssl;server_name wiki.example.org "*.wiki.example.org";ssl_certificate "/a b/c.pem";}server { server_name ~^(?<n>.+)\.example\.net$; }
"""


def test_servers_of_http_are_found_in_their_files() -> None:
    assert nginx_config.servers(PRINTED) == [
        {
            "path": "/etc/nginx/sites-enabled/default",
            "names": ["_"],
            "listens": ["80 default_server", "[::]:80 default_server"],
            "certificate": "",
        },
        {
            "path": "/etc/nginx/sites-enabled/wiki",
            "names": ["wiki.example.org", "*.wiki.example.org"],
            "listens": ["443 ssl"],
            "certificate": "/a b/c.pem",
        },
        {
            "path": "/etc/nginx/sites-enabled/wiki",
            "names": [r"~^(?<n>.+)\.example\.net$"],
            "listens": [],
            "certificate": "",
        },
    ]


@pytest.mark.parametrize(
    "text", ["", "server {", "}}}}", '"', "# configuration file /x:\nserver { listen '80", "\\"]
)
def test_what_is_no_configuration_has_no_servers(text: str) -> None:
    assert nginx_config.servers(text) == []
