FROM php:8.3-fpm-alpine
ARG UID=1000
RUN apk add --no-cache icu-dev libzip-dev \
    && docker-php-ext-install intl zip opcache
COPY --from=composer:2 /usr/bin/composer /usr/local/bin/composer
WORKDIR /srv
COPY composer.json composer.lock ./
RUN composer install --no-dev --no-scripts --prefer-dist
COPY . .
RUN adduser -D -u $UID app && chown -R app /srv/var
USER app
