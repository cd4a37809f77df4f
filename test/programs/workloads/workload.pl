# Numbers, patterns, formats, pack, sorting and closures in Perl.
use strict;
use warnings;
use Digest::SHA qw(sha256_hex sha512_hex);
use Digest::MD5 qw(md5_hex);
use List::Util qw(sum reduce shuffle max);
use Math::BigFloat;
use Math::BigInt;
use POSIX ();
use Storable qw(freeze thaw);
use Time::Local qw(timegm);

srand(42);
my @random = map { rand() } 1 .. 5000;
sub check { print join(' ', @_), "\n" }

check('rand', sha256_hex(join ',', map { sprintf '%.17g', $_ } @random));
check('sum', sprintf('%.17g', sum(@random)), sprintf('%a', $random[0]));
for my $name (qw(sin cos sqrt exp log abs int)) {
  my $function = eval "sub { $name(\$_[0]) }";
  check($name, sha256_hex(join ',', map { sprintf '%.17g', $function->($_ * 30) } @random));
}
for my $name (qw(tan asin acos atan sinh cosh tanh ceil floor cbrt erf tgamma lgamma expm1 log1p log2 rint)) {
  my $function = POSIX->can($name);
  check("POSIX $name", sha256_hex(join ',', map { sprintf '%.17g', $function->($_) } @random));
}
check('atan2', sha256_hex(join ',', map { sprintf '%.17g', atan2($random[$_], $random[-$_]) } 1 .. 2000));
check('pow', sha256_hex(join ',', map { sprintf '%.17g', ($random[$_] * 50)**($random[-$_] * 20) } 1 .. 2000));
check('integer', do { use integer; map { (7 - $_) / 3, (7 - $_) % 3, $_ * 4611686018427387905 } 1 .. 12 });
check('formats', map { sprintf '%d|%5.2f|%-8s|%+e|%x|%o|%b|%g|%v02x', $_ * 1e6, $_, $_, $_, $_ * 1e6, $_ * 1e5, $_ * 1e3, $_, '1.22.333' } @random[0 .. 20]);
for my $template (qw(c C s S l L q Q n N v V j f d F w U a20 A20 Z20 H20 b64 u)) {
  my @values = map { int($_ * 100000) } @random[0 .. 50];
  no warnings;
  my $packed = pack("($template)*", @values);
  check("pack $template", length $packed, sha256_hex(pack 'C0a*', $packed), sha256_hex(join ',', unpack("($template)*", $packed)));
}
check('checksum', unpack('%32C*', 'x' x 1000), unpack('%64b*', join '', @random));

my $text = join ' ', map { chr(97 + int($_ * 26)) x (1 + int($_ * 9)) } @random;
check('words', scalar(() = $text =~ /\b(\w)\1*\b/g), scalar(() = $text =~ /(a+|b+)(?=\s[x-z])/g));
check('backtracking', ('a' x 24) =~ /^(a?){24}a{24}$/ ? 1 : 0, ('ab' x 2000 . 'c') =~ /^(?:ab|ba)*c$/ ? 1 : 0);
(my $upper = $text) =~ s/(\w+)/length($1) > 4 ? uc $1 : $1/ge;
(my $swapped = $text) =~ tr/a-y/b-z/;
check('replace', sha256_hex($upper), sha256_hex($swapped), sha256_hex(scalar reverse $text));
check('recursive', '((a)(b(c)))' =~ /^(\((?:[^()]|(?1))*\))$/ ? 'balanced' : 'not');
check('unicode', lc("\x{130}\x{1E9E}\x{3A9}") =~ /\x{3C9}/ ? 1 : 0, length("\x{1F600}" x 3), map { sprintf '%vd', $_ } "1\x{20AC}");

my %count;
$count{$_}++ for split ' ', $text;
check('count', map { "$_=$count{$_}" } sort { $count{$b} <=> $count{$a} || $a cmp $b } keys %count);
check('sort', sha256_hex(join ',', sort { $a <=> $b } @random), sha256_hex(join ',', sort @random));
check('bigint', Math::BigInt->new(2)->bpow(521)->bsub(1), Math::BigInt->bfac(60), Math::BigInt->new('123456789' x 5)->bmodpow(65537, '1' . '0' x 40 . '7'));
check('bigfloat', Math::BigFloat->bpi(60), Math::BigFloat->new(2)->bsqrt(50), Math::BigFloat->new(3)->blog(undef, 40));
check('time', timegm(1, 2, 3, 29, 1, 2024), POSIX::strftime('%Y-%m-%d %j %U', gmtime 1e9));
check('storable', sha256_hex(join ',', @{ thaw(freeze([ map { $_ * 3 } @random ])) }));
check('digests', md5_hex($text), sha512_hex($text));
my $fibonacci = do { my %memo; my $f; $f = sub { my $n = shift; $memo{$n} //= $n < 2 ? $n : $f->($n - 1) + $f->($n - 2) }; $f };
check('closures', $fibonacci->(90), reduce { $a * 31 % 1000003 + $b } 0, map { ord } split //, $text);
my @sieve = (1) x 20000;
for my $i (2 .. 141) { next unless $sieve[$i]; for (my $j = $i * $i; $j < 20000; $j += $i) { $sieve[$j] = 0 } }
check('sieve', scalar grep { $sieve[$_] } 2 .. $#sieve);
local $SIG{ALRM} = sub { die "alarm\n" };
eval { alarm 1; 1 while 1 };
print "signal: $@";
