#!/usr/bin/env bash
# Puts RabbitMQ of another Debian suite into a folder, where RABBITMQ_BIN may point (docs/testing.md).
#
#   .ci/rabbitmq.sh SUITE FOLDER     as root; needs debootstrap, and 400 MB
set -euo pipefail

suite=$1
folder=$(realpath -m "$2")
mirror=$(apt-get indextargets --format '$(REPO_URI)' \
  'Identifier: Packages' 'Origin: Debian' 'Label: Debian' 'Component: main' | sort -u | head -n 1)
mkdir -p "$folder"
debootstrap --variant=minbase --include=rabbitmq-server "$suite" "$folder/root" "$mirror"
printf '127.0.0.1 localhost\n' >"$folder/root/etc/hosts"

# The nodes' folders lie in /tmp; the mounts go with the program that they are for.
cat >"$folder/rabbitmq-server" <<'RUN'
#!/bin/sh
here=$(dirname "$(realpath "$0")")
exec unshare --mount sh -c '
  mount --bind /tmp "$0/tmp" && mount --rbind /dev "$0/dev" && mount -t proc proc "$0/proc" &&
  exec chroot "$0" "$@"' "$here/root" "/usr/lib/rabbitmq/bin/$(basename "$0")" "$@"
RUN
chmod +x "$folder/rabbitmq-server"
ln -f "$folder/rabbitmq-server" "$folder/rabbitmqctl"
