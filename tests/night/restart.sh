#!/bin/sh
# Restarts an instance: its name, then the command. Once app-3.again is there, somebody else's tool puts the old configuration of app-3
# back, and the restart command of app-4 is gone.
cd "$(dirname "$0")" || exit 1
name=$1
shift
if [ -e app-3.again ]; then
    case $name in
        app-3) cp app-3.again instances/app-3/app.env ;;
        app-4) exec ./no-such-command ;;
    esac
fi
exec "$@"
