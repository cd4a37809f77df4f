# Counts words and the letters they begin with.
{
  for (n = 1; n <= NF; n++) {
    count[$n]++
    first[substr($n, 1, 1)] += length($n)
  }
}
END {
  for (word in count) if (count[word] > most) most = count[word]
  for (letter in first) total += first[letter]
  print NR, most, total
}
