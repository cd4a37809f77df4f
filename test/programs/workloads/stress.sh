# The methods of one of stress-ng's stressors, one after the other, each with its own check of results.
# usage: stress.sh STRESSOR OPTION OPERATIONS
cd /tmp || exit 1
methods=$(stress-ng "--$1" 1 "--$2" which 2>&1 | sed 's/.*must be one of: *//;s/.*: //' | tail -n 1)
for method in $methods; do
  [ "$method" = all ] && continue
  stress-ng "--$1" 1 "--$2" "$method" "--$1-ops" "$3" ${4:+$4} --verify --timeout 60 >log 2>&1
  echo "$1 $method $?"
  grep -E 'fail|error|incorrect|mismatch' log >&2
done
