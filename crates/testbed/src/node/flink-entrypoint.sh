#!/usr/bin/env bash
# The entry point of Flink's images as its users know it: the roles by their names, anything else as it is.
conf=${FLINK_CONF_DIR:-$FLINK_HOME/conf}

# Settings that the environment gives. A mounted configuration is read-only and stays as it is.
prepare() {
    # The configuration of a distribution listens at localhost alone; that of an image, at the pod's address.
    local places=(-repKV rest.address,localhost,0.0.0.0 -repKV rest.bind-address,localhost,0.0.0.0
        -repKV jobmanager.bind-host,localhost,0.0.0.0 -repKV taskmanager.bind-host,localhost,0.0.0.0
        -rmKV taskmanager.host=localhost)
    local settings=("-Dblob.server.port=6124" "-Dquery.server.port=6125") line key value
    [ -z "$JOB_MANAGER_RPC_ADDRESS" ] || settings+=("-Djobmanager.rpc.address=$JOB_MANAGER_RPC_ADDRESS")
    [ -z "$TASK_MANAGER_NUMBER_OF_TASK_SLOTS" ] ||
        settings+=("-Dtaskmanager.numberOfTaskSlots=$TASK_MANAGER_NUMBER_OF_TASK_SLOTS")
    while IFS= read -r line; do
        case $line in '' | '#'*) continue ;; *:*) ;; *) continue ;; esac
        key=${line%%:*} value=${line#*:}
        settings+=("-D${key// /}=${value# }")
    done <<<"$FLINK_PROPERTIES"
    if [ -e "$conf/config.yaml" ]; then
        # Keys are nested in this file, and flat in the environment: Flink's own tool joins them.
        [ ! -w "$conf/config.yaml" ] ||
            "$FLINK_HOME/bin/config-parser-utils.sh" "$conf" "$FLINK_HOME/bin" "$FLINK_HOME/lib" \
                "${places[@]}" "${settings[@]}"
    elif [ -w "$conf/flink-conf.yaml" ]; then
        sed -i -e '/^taskmanager.host: localhost/d' "$conf/flink-conf.yaml" \
            -e 's/^\(rest.address\|rest.bind-address\|[a-z]*manager.bind-host\): localhost/\1: 0.0.0.0/'
        for line in "${settings[@]#-D}"; do
            key=${line%%=*}
            sed -i "/^${key//./\\.}[ ]*:/d" "$conf/flink-conf.yaml"
            printf '%s: %s\n' "$key" "${line#*=}" >>"$conf/flink-conf.yaml"
        done
    fi
}

copy_plugins() {
    local plugin
    for plugin in $(printf '%s' "$ENABLE_BUILT_IN_PLUGINS" | tr ';' ' '); do
        mkdir -p "$FLINK_HOME/plugins/${plugin%.jar}"
        ln -fs "$FLINK_HOME/opt/$plugin" "$FLINK_HOME/plugins/${plugin%.jar}/$plugin"
    done
}

case $1 in
help)
    printf 'Usage: %s (jobmanager|standalone-job|taskmanager|history-server)\n    Or %s help\n' "${0##*/}" "${0##*/}"
    exit 0 ;;
esac
copy_plugins
role=$1
case $role in
jobmanager|taskmanager|standalone-job|history-server) shift; prepare ;;
esac
case $role in
jobmanager) echo 'Starting Job Manager'; exec "$FLINK_HOME/bin/jobmanager.sh" start-foreground "$@" ;;
taskmanager) echo 'Starting Task Manager'; exec "$FLINK_HOME/bin/taskmanager.sh" start-foreground "$@" ;;
standalone-job) echo 'Starting Job Manager'; exec "$FLINK_HOME/bin/standalone-job.sh" start-foreground "$@" ;;
history-server) echo 'Starting History Server'; exec "$FLINK_HOME/bin/historyserver.sh" start-foreground "$@" ;;
*) exec "$@" ;;
esac
