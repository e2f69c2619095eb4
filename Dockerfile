# One image for every part; docker-compose.yml says which part a container plays, .dockerignore what comes into it.
FROM python:3.13.14-slim

ENV PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 DATA_DIR=/data HOST=0.0.0.0
WORKDIR /app
COPY requirements.txt requirements-fast.txt .
RUN pip install --no-cache-dir --require-hashes -r requirements.txt \
 && pip install --no-cache-dir --require-hashes -r requirements-fast.txt \
 && useradd --system --uid 10001 --no-create-home brilliance \
 && install --directory --owner=brilliance --mode=0700 /data
COPY . .
USER brilliance
VOLUME /data
EXPOSE 8000
CMD ["python", "-m", "gunicorn", "brilliance.wsgi", "--bind", "0.0.0.0:8000", "--worker-class", "gthread", "--workers", "2", "--threads", "8", "--timeout", "120", "--no-control-socket"]
