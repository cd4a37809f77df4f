# The methods of one of stress-ng's stressors, one after the other, each with its own check of results.
# usage: stress.sh STRESSOR OPERATIONS [OPTIONS]
cd /tmp || exit 1
stressor=$1
operations=$2
shift 2
for method in $(stress-ng "--$stressor" 1 "--$stressor-method" which 2>&1 | sed -n 's/.*must be one of: *//p'); do
  [ "$method" = all ] && continue
  stress-ng "--$stressor" 1 "--$stressor-method" "$method" "--$stressor-ops" "$operations" "$@" --verify --timeout 60 >log 2>&1
  echo "$stressor $method $?"
  grep -E 'fail|error|incorrect|mismatch' log >&2
done
