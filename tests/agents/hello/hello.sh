echo "hello from an agent"
while read -r key value _; do
    if [ "$key" = "MemTotal:" ]; then
        echo "memory in KiB: $value"
    fi
done </proc/meminfo
exit 7
