#!/bin/sh
# Copyright: ailab.hub contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# The packages, builds and starts of a deployment, and nothing else: what an administrator would type who had all files ready.
# They lie in /root/by-hand: those of a deployed server, and "plan" with the names they go by there.
set -e
cd /root/by-hand
. ./plan
tar -x -C / -f files.tar
useradd --system --uid "$ACCOUNT_UID" --home-dir /var/lib/ailab-hub/hub --shell /usr/sbin/nologin ailab-hub
install -d -m 0700 -o ailab-hub -g ailab-hub /var/lib/ailab-hub/hub
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
# shellcheck disable=SC2086
apt-get install -qq --no-install-recommends $PACKAGES > /dev/null
docker pull --quiet "$LAB_BASE"
docker pull --quiet "$HUB_BASE"
docker pull --quiet "$PROXY_IMAGE"
docker build --quiet --tag "$LAB_IMAGE" /var/lib/ailab-hub/build/lab_image
docker build --quiet --tag "$HUB_IMAGE" /var/lib/ailab-hub/build/hub_image
docker network create --subnet 10.230.0.0/20 --ip-range 10.230.8.0/21 --gateway 10.230.0.1 jupyterhub
docker network create --internal --subnet 10.230.16.0/24 --gateway 10.230.16.1 jupyterhub-internal
secrets=$(for file in /var/lib/ailab-hub/secrets/*; do printf -- '--volume=%s:/run/secrets/%s:ro ' "$file" "${file##*/}"; done)
user="$(id -u ailab-hub):$(id -g ailab-hub)"
# shellcheck disable=SC2086
docker create --name jupyterhub-proxy --user "$user" --network jupyterhub --ip 10.230.0.3 --publish 8000:8000 $secrets \
    --entrypoint sh "$PROXY_IMAGE" -c "$PROXY_COMMAND"
docker network connect --ip 10.230.16.3 jupyterhub-internal jupyterhub-proxy
docker start jupyterhub-proxy
# shellcheck disable=SC2086
docker create --name jupyterhub --user "$user" --group-add "$(stat -c %g /run/docker.sock)" --network jupyterhub --ip 10.230.0.2 \
    --env HOME=/srv/jupyterhub $secrets --volume /var/run/docker.sock:/var/run/docker.sock \
    --volume /etc/ailab-hub/jupyterhub_config.py:/etc/jupyterhub/jupyterhub_config.py:ro --volume /var/lib/ailab-hub/hub:/srv/jupyterhub \
    "$HUB_IMAGE" jupyterhub --config /etc/jupyterhub/jupyterhub_config.py
docker network connect --ip 10.230.16.2 jupyterhub-internal jupyterhub
docker start jupyterhub
until python3 -c 'import urllib.request; urllib.request.urlopen("http://127.0.0.1:8000/hub/health", timeout=2)' 2> /dev/null; do
    sleep 0.2
done
