# Codecs, which are vector code by hand for each extension; their results do not depend on which they choose.
cd /tmp || exit 1
python3 /judge/clip.py && sha256sum clip.y4m frame.ppm sound.wav
sum() { echo "$1 $(sha256sum <"$2" | cut -d' ' -f1)"; }

for options in '-quality 75' '-quality 90 -progressive' '-quality 60 -sample 2x2 -optimize' '-quality 30 -dct fast' \
  '-quality 95 -sample 1x1 -arithmetic' '-grayscale'; do
  cjpeg $options -outfile picture.jpg frame.ppm && sum "cjpeg $options" picture.jpg
  for way in '-dct int' '-dct fast' '-scale 1/2' '-nosmooth' '-rgb565 -bmp'; do
    djpeg $way -outfile picture picture.jpg && sum "djpeg $way" picture
  done
  jpegtran -rotate 90 -outfile turned.jpg picture.jpg && sum jpegtran turned.jpg
done
for codec in vp8 vp9; do
  vpxenc --quiet --codec=$codec --threads=1 --cpu-used=2 --target-bitrate=200 --ivf -o clip.ivf clip.y4m && sum $codec clip.ivf
  vpxdec --quiet --md5 --i420 clip.ivf
done
vpxenc --quiet --codec=vp9 --good --cpu-used=4 --end-usage=q --cq-level=20 --lossless=1 --ivf -o clip.ivf clip.y4m && sum lossless clip.ivf
for options in '--cpu-used=6' '--cpu-used=8 --rt' '--cpu-used=5 --enable-cdef=1 --tile-columns=1 --cq-level=40 --end-usage=q'; do
  aomenc --quiet --threads=1 --limit=3 $options --ivf -o clip.ivf clip.y4m && sum "av1 $options" clip.ivf
  aomdec --md5 --rawvideo clip.ivf
  dav1d -q --threads 1 --muxer md5 -o - -i clip.ivf
done
for preset in ultrafast medium slow; do
  x265 --log-level none --no-info --pools none --frame-threads 1 --preset $preset -o clip.265 clip.y4m 2>/dev/null && sum "x265 $preset" clip.265
done
for level in 0 5 8; do
  flac -s -f -$level -o sound.flac sound.wav && sum "flac $level" sound.flac
  flac -s -d -f -o back.wav sound.flac && cmp back.wav sound.wav && echo same
done
